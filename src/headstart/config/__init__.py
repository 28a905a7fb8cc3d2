"""What is asked for: options, recipes, and the frozen configurations made from them."""
