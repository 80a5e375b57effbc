//! Access rules: ordered, first match decides, one vocabulary for every process that admits or refuses. Pure: facts in, decision out.
#![forbid(unsafe_code)]
