"""Decides how HTTP is spoken: requests in, pages and errors out; knows no feature."""
