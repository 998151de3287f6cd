"""How facts are put into words: numbers with units, names of cases, words of statuses and phases, sentences,
and where labels stand. Terminal, figures and reports print with these alone; no code reads them back."""
