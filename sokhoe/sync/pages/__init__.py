"""The pages of the mail room: the line at a station, the list of stations at the hub."""
