"""Tests of charts.py."""

import random
import unittest

import charts


def page_of(scores):
    """A page whose policies have these scores at one ratio, without times."""
    choices = [{"block": 0, "policy": policy, "ratio": 0.5, "score": score, "kept_ratio": 0.5,
                "kv_bytes_allocated": 2**20, "tpot_ms": None} for policy, score in scores.items()]
    return {"scores": [], "choices": choices, "blocks": []}


class Styles(unittest.TestCase):
    NAMES = ["full", "snapkv", "keydiff", "tova", "h2o", "knorm", "random", "adakv", "pyramidkv",
             "lukv", "lukv_curves", "lukv_keydiff", "expected_attention", "streaming_llm", "gkv",
             "oracle_uniform", "oracle_lukv", "h2o_decode", "tova_decode", "snapkv_kvpress"]

    def test_seven_policies_differ_in_colour_alone_and_none_is_black_like_full(self):
        for seed in range(20):
            names = random.Random(seed).sample(self.NAMES[1:], 7)
            styles = charts.styles(page_of(dict.fromkeys(["full", *names], 50)))
            self.assertEqual(len({style["colour"] for style in styles}), 8)

    def test_twenty_policies_differ_in_colour_and_symbol_and_in_colour_and_dash(self):
        styles = charts.styles(page_of(dict.fromkeys(self.NAMES, 50)))
        for key in ["shape", "dash"]:
            self.assertEqual(len({(style["colour"], str(style[key])) for style in styles}), 20)

    def test_a_policy_looks_the_same_whatever_it_scores_and_the_best_comes_first(self):
        def by_name(styles):
            return {style["policy"]: style for style in styles}

        rising = charts.styles(page_of({name: i for i, name in enumerate(self.NAMES)}))
        falling = charts.styles(page_of({name: -i for i, name in enumerate(self.NAMES)}))
        self.assertEqual(by_name(rising), by_name(falling))
        self.assertEqual([style["policy"] for style in rising], self.NAMES[::-1])


class Rows(unittest.TestCase):
    def test_the_front_holds_what_none_beats_in_score_and_tpot(self):
        page = page_of({"fast": 20, "good": 90, "same": 90, "slow": 80, "untimed": 99})
        for row, tpot in zip(page["choices"], [1, 2, 2, 3, None]):
            row["tpot_ms"] = tpot
        charts.prepare(page)
        self.assertEqual([row["policy"] for row in page["choices"] if row.get("front")],
                         ["fast", "good", "same"])

    def test_blocks_that_differ_in_length_alone_make_a_curve(self):
        page = page_of({})
        titles = {0: (1024, "context"), 1: (4096, "context"), 2: (1024, "prompt"), 3: (0, "context")}
        page["blocks"] = [{"length": length, "title": f"length {length}, compress {mode}"}
                          for length, mode in titles.values()]
        page["scores"] = [{"block": i, "ratio": None, "kept_ratio": 0.25,
                           "kv_bytes_allocated": None} for i in titles]
        charts.prepare(page)
        self.assertEqual(charts.lengths_of(page["scores"]), {"compress context": [1024, 4096]})
        self.assertEqual(page["scores"][0]["removed"], 0.75)


if __name__ == "__main__":
    unittest.main()
