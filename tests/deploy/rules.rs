//! The rules of Prometheus, held by `promtool`.
