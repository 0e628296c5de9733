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

    public init(source: String, batch: String?, projects: [String], rows: [Row], ids: [String] = []) {
        self.source = source
        self.batch = batch
        self.projects = projects
        self.rows = rows
        self.ids = ids
    }
}
