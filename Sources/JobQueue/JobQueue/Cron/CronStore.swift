/// What one queue knows of its cron entries: the last tick of each. It belongs to the queue because a tick's job and the mark of the tick
/// are one step; and its server's clock decides what is due, never a scheduler's.
public protocol CronStore: Sendable {
    /// The queue's name.
    var queue: String { get }

    /// Makes entries known that are new, and tells where all of them stand. Ticks of an entry, and of a schedule, from before the queue
    /// first heard of it were never due.
    /// - Returns: one state for each entry, in their order, and the server's time.
    func look(at entries: [CronEntryKey]) async throws(QueueDriverError) -> CronLook

    /// Puts the jobs of ticks on the queue and marks the last tick, in one step: a tick that is not later than the last one of its entry,
    /// or that the server's clock has not reached, changes nothing. So may be called by any number of schedulers, and again after an
    /// answer was lost. Unless runs may overlap, a job that is put owns its unique key from then on.
    func fire(_ firing: CronFiring) async throws(QueueDriverError) -> CronFired

    /// Puts the job of an extra run on the queue, once for each name in a week.
    /// - Returns: false when there was one of that name.
    func runNow(entry: String, name: String, body: [UInt8]) async throws(QueueDriverError) -> Bool

    /// Pauses or resumes an entry. Ticks of the pause do not come back.
    /// - Returns: false when the queue does not know the entry, or nothing changed.
    func setPaused(_ isPaused: Bool, entry: String) async throws(QueueDriverError) -> Bool
}

/// An entry as a store is asked for it.
public struct CronEntryKey: Sendable, Equatable {
    public let name: String
    /// The schedule's text: a new one counts from when it is first heard of.
    public let schedule: String

    public init(name: String, schedule: String) {
        self.name = name
        self.schedule = schedule
    }
}

/// Where an entry stands.
public struct CronState: Sendable, Equatable {
    /// Only later ticks are due: the last one that ran or was passed over, or when the entry or its schedule became known. Unix ms.
    public var lastMs: Int64
    public var isPaused: Bool
    /// The last tick whose job was put on the queue.
    public var firedMs: Int64?

    public init(lastMs: Int64, isPaused: Bool = false, firedMs: Int64? = nil) {
        self.lastMs = lastMs
        self.isPaused = isPaused
        self.firedMs = firedMs
    }
}

/// Where the entries of a queue stand, and when.
public struct CronLook: Sendable, Equatable {
    /// The server's time.
    public let nowMs: Int64
    public let states: [CronState]

    public init(nowMs: Int64, states: [CronState]) {
        self.nowMs = nowMs
        self.states = states
    }
}

/// Ticks of one entry that are to run.
public struct CronFiring: Sendable, Equatable {
    public struct Tick: Sendable, Equatable {
        /// Unix ms.
        public let atMs: Int64
        /// The id of its job.
        public let job: String
        /// The unique key that its job owns until it has come to its end, and by which the next tick sees that it has not; not looked at
        /// where runs may overlap.
        public let unique: String
        public let body: [UInt8]

        public init(atMs: Int64, job: String, unique: String = "", body: [UInt8]) {
            self.atMs = atMs
            self.job = job
            self.unique = unique
            self.body = body
        }
    }

    public let entry: String
    /// In ascending order.
    public let ticks: [Tick]
    public let overlap: CronOverlap

    public init(entry: String, ticks: [Tick], overlap: CronOverlap = .allow) {
        self.entry = entry
        self.ticks = ticks
        self.overlap = overlap
    }
}

/// What became of ticks.
public struct CronFired: Sendable, Equatable {
    /// Those whose job was put on the queue now.
    public var firedMs: [Int64]
    /// Those that were passed over because the job before has not come to its end.
    public var skippedMs: [Int64]
    /// Whether one waits for that end.
    public var isWaiting: Bool
    /// The server's time.
    public var nowMs: Int64

    public init(firedMs: [Int64] = [], skippedMs: [Int64] = [], isWaiting: Bool = false, nowMs: Int64) {
        self.firedMs = firedMs
        self.skippedMs = skippedMs
        self.isWaiting = isWaiting
        self.nowMs = nowMs
    }
}
