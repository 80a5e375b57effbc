//! Numbers as the comparing operators and `setvar` read them: what C's `stoi` reads, and 0 where it fails.

/// The number at the beginning of a value: white space, a sign, digits; 0 if there is none or it does not fit 32 bits.
pub(crate) fn parse(value: &[u8]) -> i64 {
    let value = value.trim_ascii_start();
    let (negative, digits) = match value.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, value),
    };
    let mut number = 0_i64;
    for digit in digits.iter().take_while(|byte| byte.is_ascii_digit()) {
        number = number * 10 + i64::from(digit - b'0');
        if number > i64::from(i32::MAX) + i64::from(negative) {
            return 0;
        }
    }
    if negative { -number } else { number }
}

/// How a comparing operator compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Eq,
    Ge,
    Gt,
    Le,
    Lt,
}

impl Comparison {
    /// True if `value` compares so with `limit`.
    pub(crate) fn holds(self, value: i64, limit: i64) -> bool {
        match self {
            Self::Eq => value == limit,
            Self::Ge => value >= limit,
            Self::Gt => value > limit,
            Self::Le => value <= limit,
            Self::Lt => value < limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn like_stoi() {
        for (text, number) in
            [("12", 12), (" +7x", 7), ("-3", -3), ("x", 0), ("", 0), ("99999999999", 0), ("2147483647", 2_147_483_647)]
        {
            assert_eq!(parse(text.as_bytes()), number, "{text}");
        }
    }
}
