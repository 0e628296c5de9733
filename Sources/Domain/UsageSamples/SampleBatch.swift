/// A batch of measurements of traffic, as it travels on the list.
public struct SampleBatch: Sendable, Equatable {
    /// One measurement.
    public struct Row: Sendable, Equatable {
        /// The index of its project in ``SampleBatch/projects``.
        public let project: Int32
        public let bytes: Int64
        /// When it was measured, in unix milliseconds.
        public let atMs: Int64

        public init(project: Int32, bytes: Int64, atMs: Int64) {
            self.project = project
            self.bytes = bytes
            self.atMs = atMs
        }
    }

    /// Who measured.
    public let source: String
    /// The unit that counts once; nil when each sample has an id of its own.
    public let batch: String?
    /// Each project once.
    public let projects: [String]
    public let rows: [Row]
    /// As many as rows when ``batch`` is nil, else empty.
    public let ids: [String]

    /// A batch made by hand. What it holds is not checked here, but by whoever reads it on the list.
    public init(source: String, batch: String?, projects: [String], rows: [Row], ids: [String] = []) {
        self.source = source
        self.batch = batch
        self.projects = projects
        self.rows = rows
        self.ids = ids
    }
}

// MARK: Limits and rules

extension SampleBatch {
    /// The queue on whose list batches travel.
    public static let queue = "samples"
    /// Samples in one batch.
    public static let samplesMax = 5000
    /// Bytes of one sample: 2^50.
    public static let bytesMax: Int64 = 1 << 50
    /// Characters of a project's and of a source's name.
    public static let nameMax = 100
    /// Characters of a batch's id.
    public static let batchIDMax = 200
    /// Characters of a sample's own id.
    public static let sampleIDMax = 400
    /// Bytes of a body on the list.
    public static let bodyMax = 16 << 20
    /// How deeply a body may nest.
    static let depthMax = 64
    /// The last moment of the year 9999.
    static let atMax: Int64 = 253_402_300_799_999
}
