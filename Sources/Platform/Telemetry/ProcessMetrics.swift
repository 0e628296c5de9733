import Formats

#if canImport(Glibc)
    import Glibc
#endif

/// What the system says of this process, under the names every Prometheus dashboard knows.
public enum ProcessMetrics {
    public static func register(in registry: MetricRegistry = .shared) {
        let startedSeconds = Double(WallClock.nowMs) / 1000
        registry.gaugeFunction("process_start_time_seconds", help: "When the process started, Unix time") { startedSeconds }
        registry.gaugeFunction("process_resident_memory_bytes", help: "Resident memory") { Double(residentBytes()) }
        registry.counterFunction("process_cpu_seconds_total", help: "User and system time spent") { cpuSeconds() }
    }

    /// Resident memory now; 0 where the system does not tell.
    public static func residentBytes() -> Int64 {
        let descriptor = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return 0 }
        defer { close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: 128)
        let count = read(descriptor, &buffer, buffer.count)
        guard count > 0 else { return 0 }
        let words = buffer[..<count].split(separator: 0x20)
        guard words.count > 1, let pages = Int64(String(decoding: words[1], as: UTF8.self)) else { return 0 }
        return pages * Int64(sysconf(Int32(_SC_PAGESIZE)))
    }

    private static func cpuSeconds() -> Double {
        var usage = rusage()
        guard getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 else { return 0 }
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
        return seconds(usage.ru_utime) + seconds(usage.ru_stime)
    }
}
