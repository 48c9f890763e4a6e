"""Words that end like plurals and have no singular, or one that means something else: goods are nothing good.

inflect, which makes the singulars, cuts an s from these; a word that is not listed here keeps what it gives.
"""

_LISTED = """
acoustics aerobics aesthetics alms amends analysis annals aquatics arms athletics atlas axis barracks basis belongings
bias billiards binoculars bowels breeches briefs brains bus canvas casus chaos chess christmas clothes cosmos customs
crisis cosmetics cybernetics dregs dynamics dominoes earnings economics electronics emphasis ethics forensics funds
gallows gas genetics genius glasses goods grounds gymnastics headquarters heavens hypothesis hysterics innings iris
italics jeans leggings lens letters linguistics logistics looks mars mathematics means measles mechanics minutes mumps
news numismatics oasis obstetrics odds optics outskirts overalls pains pants parenthesis paris physics politics premises
proceeds proceedings quarters rabies regards remains riches robotics savings series shingles shorts slacks species
spectacles spirits stairs statistics status surroundings synthesis tactics tennis texas thanks thesis tights trousers
tropics troops tweezers venus virus wages waters wits woods works
"""
NO_PLURALS = frozenset(_LISTED.split())
"""All of them, in lower case."""
