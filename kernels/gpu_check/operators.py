"""An operator: small arguments for the checks, what to expect of them, by formulas in double, and large
ones for the timing.
"""

import torch

from inputs import BFLOAT16, FLOAT16, FLOAT32

OPERATORS = {}


def operator(entry):
    OPERATORS[entry.name] = entry()
    return entry


class Operator:
    dtypes = (FLOAT32, BFLOAT16, FLOAT16)
    changed = ()  # places of the arguments that are changed in place
    ragged = False  # large(dtype, True) differs from large(dtype, False), its bytes do not

    # cases(dtype): tuples of small arguments
    # expected(*arguments): results, then changed arguments; floats in double
    # large(dtype, ragged): arguments of a model's size

    def tolerance(self, dtype):
        """Relative and absolute: by default of a float32 result, for sums in float32."""
        return 1e-5, 1e-5

    def n_flops(self, arguments):
        """Of an operator that arithmetic may hold up, else None."""

    def outputs(self, arguments, results):
        """What of the results and changed arguments is defined."""
        return results + tuple(arguments[i] for i in self.changed)

    def n_bytes(self, arguments, results):
        """What must be moved: arguments in, results out, what is changed both ways."""
        moved = list(arguments) + list(results) + [arguments[i] for i in self.changed]
        return sum(x.nbytes for x in moved if isinstance(x, torch.Tensor))

    def run(self, arguments):
        results = getattr(torch.ops.kvbench, self.name)(*arguments)
        if results is None:
            return ()
        return tuple(results) if isinstance(results, (tuple, list)) else (results,)
