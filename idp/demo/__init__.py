"""A whole province on one machine, with synthetic people; imported by ``idp demo`` alone, and never in production."""
