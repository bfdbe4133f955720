//! Which bytes are wanted (RFC 9110, section 14).

/// What a `Range` header asks for, of a file of so many bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wanted {
    /// All: there is no such header, or one that is to be ignored (other units, several
    /// ranges, nonsense).
    Whole,
    /// Offset and length.
    Part(u64, u64),
    /// Bytes that the file does not have.
    Beyond,
}

pub(super) fn wanted(header: Option<&str>, size: u64) -> Wanted {
    let Some((unit, range)) = header.and_then(|header| header.split_once('=')) else { return Wanted::Whole };
    let Some((first, last)) = range.trim().split_once('-') else { return Wanted::Whole };
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // more digits than there are bytes anywhere
        digits.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    let (first, last) = (first.trim(), last.trim());
    match (unit.trim().eq_ignore_ascii_case("bytes"), first, number(first), last, number(last)) {
        (true, "", _, _, Some(0)) => Wanted::Beyond,
        (true, "", _, _, Some(_)) if size == 0 => Wanted::Beyond,
        (true, "", _, _, Some(length)) => Wanted::Part(size - length.min(size), length.min(size)),
        (true, _, Some(first), "", _) if first < size => Wanted::Part(first, size - first),
        (true, _, Some(first), _, Some(last)) if first > last => Wanted::Whole,
        (true, _, Some(first), _, Some(last)) if first < size => Wanted::Part(first, last.min(size - 1) - first + 1),
        (true, _, Some(_), "", _) | (true, _, Some(_), _, Some(_)) => Wanted::Beyond,
        _ => Wanted::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_rfc_says() {
        let rows = [
            (None, Wanted::Whole),
            (Some("bytes=0-0"), Wanted::Part(0, 1)),
            (Some("bytes=0-9"), Wanted::Part(0, 10)),
            (Some("bytes=9-"), Wanted::Part(9, 1)),
            (Some("Bytes = 3 - 4"), Wanted::Part(3, 2)),
            (Some("bytes=5-99999999999999999999999"), Wanted::Part(5, 5)),
            (Some("bytes=-3"), Wanted::Part(7, 3)),
            (Some("bytes=-30"), Wanted::Part(0, 10)),
            (Some("bytes=-0"), Wanted::Beyond),
            (Some("bytes=10-"), Wanted::Beyond),
            (Some("bytes=10-12"), Wanted::Beyond),
            (Some("bytes=99999999999999999999999-"), Wanted::Beyond),
            (Some("bytes=4-3"), Wanted::Whole),
            (Some("bytes=0-1,3-4"), Wanted::Whole),
            (Some("bytes=-"), Wanted::Whole),
            (Some("bytes=a-b"), Wanted::Whole),
            (Some("bytes=+1-2"), Wanted::Whole),
            (Some("lines=0-1"), Wanted::Whole),
            (Some("bytes"), Wanted::Whole),
            (Some(""), Wanted::Whole),
        ];
        for (header, expected) in rows {
            assert_eq!(wanted(header, 10), expected, "{header:?}");
        }
        for header in ["bytes=0-", "bytes=0-0", "bytes=-1"] {
            assert_eq!(wanted(Some(header), 0), Wanted::Beyond, "{header}: nothing is in an empty file");
        }
    }
}
