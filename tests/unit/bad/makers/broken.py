class Boosted:
    def fit(self, rows:
        pass
