"""Where every unit comes from: a decision, made from plain facts."""
