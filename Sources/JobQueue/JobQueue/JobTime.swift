/// A moment before which a job is not run: `.now + .seconds(60)`, or a unix time.
public struct JobTime: Sendable, Equatable {
    private enum Origin: Sendable, Equatable {
        /// When the job is pushed, by the service's clock.
        case pushed
        case epoch
    }

    private let origin: Origin
    private let offset: Duration

    private init(origin: Origin, offset: Duration) {
        self.origin = origin
        self.offset = offset
    }

    /// The moment at which the job is pushed.
    public static let now = JobTime(origin: .pushed, offset: .zero)

    public init(unixMs: Int64) { self.init(origin: .epoch, offset: .milliseconds(unixMs)) }

    /// What Foundation's `Date.timeIntervalSince1970` says.
    public init(timeIntervalSince1970 seconds: Double) { self.init(origin: .epoch, offset: .seconds(seconds)) }

    public static func + (time: JobTime, delay: Duration) -> JobTime { JobTime(origin: time.origin, offset: time.offset + delay) }

    func unixMs(nowMs: Int64) -> Int64 { (origin == .pushed ? nowMs : 0) + offset.wholeMilliseconds }
}
