"""A department's website that signs people in with Yizheng: the smallest complete relying party."""
