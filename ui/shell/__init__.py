"""What all pages share: what a page is, the frame around each, and the door that requests for them come through."""
