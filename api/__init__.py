"""Assembly: puts the parts together and starts them."""
