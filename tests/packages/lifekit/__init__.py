"""What tests/packages/life is made of."""
