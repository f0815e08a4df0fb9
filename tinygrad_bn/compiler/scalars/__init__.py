"""Programs of single numbers: operations of one kind that do not wait for each other are one operation on vectors."""
