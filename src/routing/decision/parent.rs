//! The client's span, to which a request belongs. Source: W3C Trace Context, `traceparent`.

/// A span of the client's, or of Envoy's where that traces as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The trace.
    pub trace_id: [u8; 16],
    /// The span.
    pub span_id: [u8; 8],
}

impl Parent {
    /// Returns the parent span that a header names, if it is sampled: a span below an unsampled one is of no use.
    #[must_use]
    pub fn sampled(header: &str) -> Option<Self> {
        let (version, rest) = (hex::<1>(header.get(..2)?)?, header.get(2..)?);
        let (trace_id, span_id, flags) = (rest.get(1..33)?, rest.get(34..50)?, rest.get(51..53)?);
        let is_separated = [0, 33, 50].iter().all(|&at| rest.as_bytes().get(at) == Some(&b'-'));
        // Later versions may have more fields.
        let ends = match (version, rest.as_bytes().get(53)) {
            (_, None) => true,
            ([0], Some(_)) => false,
            (_, Some(next)) => *next == b'-',
        };
        let (trace_id, span_id, [flags]) = (hex::<16>(trace_id)?, hex::<8>(span_id)?, hex::<1>(flags)?);
        let is_valid = version != [0xff] && trace_id != [0; 16] && span_id != [0; 8] && is_separated && ends;
        (is_valid && flags & 1 == 1).then_some(Self { trace_id, span_id })
    }
}

/// Bytes in lower-case hexadecimal digits, two for each.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let mut bytes = [0; N];
    if pairs.len() != N {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: &str = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";

    #[test]
    fn a_sampled_parent_is_read() {
        let parent = Parent::sampled(&format!("00-{IDS}-01")).expect("sampled");
        assert_eq!((parent.trace_id[0], parent.trace_id[15]), (0x4b, 0x36));
        assert_eq!(parent.span_id, [0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]);
        for later in [format!("01-{IDS}-03"), format!("fe-{IDS}-01-more")] {
            assert_eq!(Parent::sampled(&later), Some(parent), "{later}");
        }
    }

    #[test]
    fn what_is_not_sampled_or_no_parent_is_none() {
        for header in [
            format!("00-{IDS}-00"),
            format!("00-{IDS}-01-more"),
            format!("01-{IDS}-01more"),
            format!("ff-{IDS}-01"),
            format!("00-{}-01", IDS.to_uppercase()),
            format!("00-{}-01", IDS.replace('b', "x")),
            format!("00-{}-01", IDS.replace('-', "_")),
            format!("00_{IDS}_01"),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{}-01", "0".repeat(16)),
            format!("00-{IDS}-é1"),
            String::new(),
            "00".into(),
        ] {
            assert_eq!(Parent::sampled(&header), None, "{header}");
        }
    }
}
