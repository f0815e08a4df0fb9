"""A playground: does Batch Normalization train faster?  Two networks, trained side by side in a page that needs nothing else.

Read in this order: ``networks`` and ``generator``, then ``packing`` and ``page``; the scripts in ``browser/`` from
``generator.js`` on: ``programs``, ``prepared``, ``pair``, ``drawing``, ``page``.
"""
