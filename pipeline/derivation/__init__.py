"""What products imply for users: columns and precipitation, with their uncertainty."""
