"""The page that shows what the search makes of the pictures: the map, the check-up, the comparison of temperatures."""
