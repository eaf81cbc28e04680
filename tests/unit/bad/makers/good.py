"""A pipeline with nothing wrong about how it looks."""

from somewhere import Imported


class Boosted:
    def __init__(self, trees, depth=3):
        pass

    def prepare(self, rows, context):
        pass

    def fit(self, rows, context):
        pass

    def evaluate(self, scored, context):
        pass

    def explain(self, model, background, context):
        pass


class Half:
    def prepare(self, rows, context):
        pass

    def fit(self, rows, context):
        pass

    def evaluates(self, scored, context):
        pass

    def explain(self, model, background, context):
        pass


class Narrow:
    def prepare(self, rows, context):
        pass

    def fit(self, rows):
        pass

    def evaluate(self, scored, context):
        pass

    def explain(self, model, background, context):
        pass


def make(trees):
    return Boosted(trees)
