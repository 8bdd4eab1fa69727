"""How similar an intermediate and a target task are, by cheap measures, and what that tells of transfer (``13_similarity``).

``names`` lists the measures; ``samples`` draws examples and says what their labels are about; ``states`` runs an encoder over them;
``sets``, ``texts``, ``fisher``, ``scores``, ``heads`` and ``finetune`` compute; ``records`` keeps what was computed; ``predict`` asks how well
measures predict the transfer matrix, ``cost`` what they save, ``shown`` puts it into tables, figures and words.
"""

from __future__ import annotations

from .names import MEASURES, Measure, Undefined

__all__ = ["MEASURES", "Measure", "Undefined"]
