"""What single commands show: tables and texts for people, a file for each subject."""
