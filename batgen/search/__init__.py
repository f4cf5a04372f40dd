"""Searches for hyperparameters with Optuna: what is searched, where trials are kept, how they are shared and resumed."""
