/// What is metered.
public enum UsageMetric: String, Sendable, CaseIterable {
    /// Bytes sent in a UTC month: a counter.
    case traffic
    /// Bytes kept, as last measured: a gauge without a month.
    case storage

    /// The seed's name of its limit.
    public var limitName: String { self == .traffic ? "max_traffic_gb_per_month" : "max_storage_mb" }
}

/// Bytes in the units that people read: MB = 1024², GB = 1024³. Nothing is ever compared in them.
public enum ByteFigure {
    public static let mb: Int64 = 1 << 20
    public static let gb: Int64 = 1 << 30
    /// No counter grows beyond: 2^53 bytes, eight pebibytes, which every reader of JSON can hold and no sum of teams overflows.
    public static let counterMax: Int64 = 1 << 53

    /// With two decimals, rounded half up: `4.25`.
    public static func decimal(_ bytes: Int64, per unit: Int64, point: String = ".") -> String {
        let hundredths = (Int128(bytes) * 100 + Int128(unit / 2)) / Int128(unit)
        let rest = Int(hundredths % 100)
        return "\(hundredths / 100)\(point)\(rest < 10 ? "0" : "")\(rest)"
    }

    /// `4.25 GB`, in French `4,25 Go`; below a gigabyte in MB.
    public static func text(_ bytes: Int64, language: String) -> String {
        let isFrench = language != "en"
        let point = isFrench ? "," : "."
        return bytes >= gb
            ? decimal(bytes, per: gb, point: point) + (isFrench ? " Go" : " GB")
            : decimal(bytes, per: mb, point: point) + (isFrench ? " Mo" : " MB")
    }
}

/// How near a limit is. All comparisons are of whole numbers, exact.
public enum UsageLevel: String, Sendable, CaseIterable, Comparable {
    case ok, warning, critical, exceeded

    /// The level of a use under a limit; an unlimited one is always ok, nothing used never is more.
    public init(used: Int64, limit: Int64) {
        switch AlertThreshold.reached(used: used, limit: limit) {
        case .limit?: self = .exceeded
        case .critical?: self = .critical
        case .warning?: self = .warning
        case nil: self = .ok
        }
    }

    public static func < (left: UsageLevel, right: UsageLevel) -> Bool {
        (allCases.firstIndex(of: left) ?? 0) < (allCases.firstIndex(of: right) ?? 0)
    }
}

/// The shares of a limit that a team is told of, in percent.
public enum AlertThreshold: Int64, Sendable, CaseIterable, Comparable {
    case warning = 80
    case critical = 95
    case limit = 100

    /// The highest one reached. Of nothing used, and of what is unlimited, none is.
    public static func reached(used: Int64, limit: Int64, among thresholds: [AlertThreshold] = allCases) -> AlertThreshold? {
        guard used > 0, limit >= 0 else { return nil }
        return thresholds.filter { Int128(used) * 100 >= Int128(limit) * Int128($0.rawValue) }.max()
    }

    public static func < (left: AlertThreshold, right: AlertThreshold) -> Bool { left.rawValue < right.rawValue }
}
