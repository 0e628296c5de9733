import Telemetry
import Testing

@Suite("Measurements") struct MetricsTests {
    @Test("are written in Prometheus' text format, sorted, labels escaped, buckets cumulative")
    func exposition() {
        let registry = MetricRegistry()
        registry.counter("requests_total", help: "All\nrequests \\ so far", labels: [("status", "200"), ("path", "a\"b\\c\nd")]).add(3)
        registry.counter("requests_total", help: "ignored", labels: [("status", "404")]).add()
        registry.gauge("depth", help: "Jobs waiting").set(2.5)
        registry.gaugeFunction("age_seconds", help: "Age") { .infinity }
        let histogram = registry.histogram("wait_seconds", help: "Wait", buckets: [0.1, 1], labels: [("queue", "drafts")])
        for value in [0.05, 0.1, 0.5, 2] { histogram.observe(value) }
        histogram.observe(.milliseconds(350))
        #expect(
            registry.prometheusText() == """
                # HELP age_seconds Age
                # TYPE age_seconds gauge
                age_seconds +Inf
                # HELP depth Jobs waiting
                # TYPE depth gauge
                depth 2.5
                # HELP requests_total All\\nrequests \\\\ so far
                # TYPE requests_total counter
                requests_total{status="200",path="a\\"b\\\\c\\nd"} 3
                requests_total{status="404"} 1
                # HELP wait_seconds Wait
                # TYPE wait_seconds histogram
                wait_seconds_bucket{queue="drafts",le="0.1"} 2
                wait_seconds_bucket{queue="drafts",le="1"} 4
                wait_seconds_bucket{queue="drafts",le="+Inf"} 5
                wait_seconds_sum{queue="drafts"} 3
                wait_seconds_count{queue="drafts"} 5

                """)
    }

    @Test("asked for twice are the same")
    func identity() {
        let registry = MetricRegistry()
        let first = registry.counter("a_total", help: "A", labels: [("x", "1")])
        first.add(2)
        #expect(registry.counter("a_total", help: "A", labels: [("x", "1")]) === first)
        #expect(registry.counter("a_total", help: "A", labels: [("x", "2")]).value == 0)
    }

    @Test("of what is no longer there vanish: a gauge's series are replaced together, a single series is removed")
    func vanishing() {
        let registry = MetricRegistry()
        registry.gauges("team_bytes", help: "Bytes", [([("team", "a")], 1), ([("team", "b")], 2)])
        registry.gauges("team_bytes", help: "Bytes", [([("team", "b")], 3), ([("team", "c\"d")], 4)])
        registry.counter("n_total", help: "N", labels: [("x", "1")]).add()
        registry.counter("n_total", help: "N", labels: [("x", "2")]).add()
        registry.remove("n_total", labels: [("x", "1")])
        registry.remove("n_total", labels: [("x", "never")])
        registry.remove("never")
        let text = """
            # HELP n_total N
            # TYPE n_total counter
            n_total{x="2"} 1
            # HELP team_bytes Bytes
            # TYPE team_bytes gauge

            """
        #expect(registry.prometheusText() == text + "team_bytes{team=\"b\"} 3\nteam_bytes{team=\"c\\\"d\"} 4\n")
        registry.gauges("team_bytes", help: "Bytes", [])
        #expect(registry.prometheusText() == text)
    }

    @Test("count rightly from many threads")
    func threads() async {
        let registry = MetricRegistry()
        let counter = registry.counter("n_total", help: "N")
        let gauge = registry.gauge("g", help: "G")
        let histogram = registry.histogram("h", help: "H", buckets: [1])
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<5000 {
                        counter.add()
                        gauge.add(0.5)
                        histogram.observe(1.0)
                    }
                }
            }
        }
        #expect(counter.value == 40_000)
        #expect(gauge.value == 20_000)
        #expect(histogram.count == 40_000)
        #expect(histogram.sum == 40_000)
    }

    @Test("of the process itself")
    func process() {
        let registry = MetricRegistry()
        ProcessMetrics.register(in: registry)
        #expect(ProcessMetrics.residentBytes() > 1 << 20)
        #expect(
            registry.prometheusText().contains("# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total 0.") == true
                || registry.prometheusText().contains("process_cpu_seconds_total "))
    }
}

@Suite("Traces") struct TraceTests {
    private let known = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    @Test("are read, passed on and written")
    func roundTrip() throws {
        let trace = try #require(Trace(traceparent: known))
        #expect(trace.traceparent == known)
        #expect(trace.id == "4bf92f3577b34da6a3ce929d0e0e4736")
        let child = trace.child()
        #expect(child.traceID == trace.traceID)
        #expect(child.spanID != trace.spanID)
        #expect(child.isSampled)
        let fresh = Trace()
        #expect(Trace(traceparent: fresh.traceparent) == fresh)
        #expect(Trace(traceparent: "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-later")?.isSampled == false)
    }

    @Test(
        "are refused when malformed",
        arguments: [
            "", "00", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-011", "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x",
        ])
    func refused(text: String) { #expect(Trace(traceparent: text) == nil) }
}
