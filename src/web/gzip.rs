//! Whether the asker takes gzip.

/// Whether the header `Accept-Encoding` takes gzip: named, or by `*`, and not with a weight of 0.
pub(super) fn accepted(header: &str) -> bool {
    let weight = |wanted: &str| {
        header.split(',').find_map(|item| {
            let (coding, parameters) = item.split_once(';').unwrap_or((item, ""));
            coding.trim().eq_ignore_ascii_case(wanted).then(|| weight_of(parameters))
        })
    };
    weight("gzip").or_else(|| weight("*")).is_some_and(|weight| weight > 0.0)
}

/// The weight among the parameters; what cannot be read is no wish for gzip.
fn weight_of(parameters: &str) -> f32 {
    let given = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse().unwrap_or(0.0))
    });
    given.unwrap_or(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_used_only_where_it_is_accepted() {
        for header in ["gzip", "GZIP", "deflate, gzip;q=0.5", "*", "br;q=1, *;q=0.1", "gzip;q=1.0"]
        {
            assert!(accepted(header), "{header}");
        }
        for header in ["", "identity", "gzip;q=0", "gzip; q=0.0, *", "*;q=0", "deflate", "gzip;q=x"]
        {
            assert!(!accepted(header), "{header}");
        }
    }
}
