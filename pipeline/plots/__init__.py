"""Pictures for people: quicklooks, evaluation pages, training scenes, trends."""
