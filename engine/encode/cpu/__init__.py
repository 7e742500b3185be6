"""Encoding many texts on a CPU. In: texts. Out: the vectors of the fp32 model, by the fastest way on this processor.

``encoder`` is the entry. ``contest`` measures the ``contestants`` that may be faster than ONNX Runtime in fp32, and
remembers the fastest. They are ``runners``: ``torchrunner`` and ``openvinorunner`` compute in bfloat16. Each is used
only if its vectors pass a check, and what it needs is imported only when it is measured or used.
"""
