import Formats

/// Reads samples, one object after the other, into the columns of a batch, and notes the rules that they break.
struct SampleReader: ~Copyable {
    /// What is done about the samples' own ids.
    enum IDs { case ignored, collected }

    var scanner: SampleScanner
    var ids: IDs
    /// Where the next sample stands.
    var place: SampleFault.Place?
    private(set) var faults: [SampleFault] = []
    private var projects = ProjectNames()
    private var rows: [SampleBatch.Row] = []
    private var sampleIDs: [String] = []
    /// Counts only where the body names no batch, which may turn out at its end.
    private var idFault: SampleFault?
    private var seen = 0

    private let faultsMax: Int
    private let oldestMs: Int64
    private let latestMs: Int64

    /// - Parameters:
    ///   - window: what `at` may be, besides the years that can be written.
    ///   - faultsMax: the faults that are worth knowing.
    init(_ input: UnsafeBufferPointer<UInt8>, ids: IDs, window: ClosedRange<Int64> = 0...SampleBatch.atMax, faultsMax: Int) {
        scanner = SampleScanner(input)
        self.ids = ids
        self.faultsMax = faultsMax
        oldestMs = window.lowerBound
        latestMs = window.upperBound
    }

    // MARK: Faults

    /// Of the current sample, or of the whole where there is none.
    @inline(never)
    mutating func fault(_ field: String, _ rule: String) { faults.append(SampleFault(place: place, field: field, rule: rule)) }

    /// Ends the walk where no more faults are asked for.
    @inline(__always)
    func goOn() throws(SampleScanStop) {
        if faults.count >= faultsMax { throw .enoughFaults }
    }

    /// To be asked before each sample: whether it may still come.
    mutating func count() throws(SampleScanStop) {
        if seen == SampleBatch.samplesMax {
            place = nil
            fault("samples", SampleRule.count)
            throw .enoughFaults
        }
        seen += 1
    }

    // MARK: Samples

    private enum Member {
        case project, bytes, at, metric, id, other

        @inline(__always)
        init(_ name: SampleScanner.Text) {
            switch name.count {
            case 2: self = name.spells("at") ? .at : name.spells("id") ? .id : .other
            case 5: self = name.spells("bytes") ? .bytes : .other
            case 6: self = name.spells("metric") ? .metric : .other
            case 7: self = name.spells("project") ? .project : .other
            default: self = .other
            }
        }

        @inline(__always)
        var bit: UInt8 {
            switch self {
            case .project: 1
            case .bytes: 2
            case .at: 4
            case .metric: 8
            case .id: 16
            case .other: 0
            }
        }
    }

    /// Reads the sample that stands here; it becomes a row if it breaks no rule.
    /// - Parameter depth: the arrays and objects that it stands in.
    mutating func sample(depth: Int) throws(SampleScanStop) {
        guard try scanner.peek() == UInt8(ascii: "{") else {
            try scanner.skip(depth: depth)
            return fault("sample", SampleRule.object)
        }
        try scanner.open(depth: depth + 1)
        var project: Int32 = -1
        var bytes: Int64 = -1
        var atMs: Int64 = -1
        var hasID = false
        var given: UInt8 = 0
        var isFirst = true
        var others = MemberNames()
        while let name = try scanner.nextMember(&isFirst) {
            let member = Member(name)
            guard given & member.bit == 0 else { throw scanner.duplicate() }
            given |= member.bit
            switch member {
            case .project: project = try projectNumber(depth: depth + 1)
            case .bytes: bytes = try byteCount(depth: depth + 1)
            case .at: atMs = try moment(depth: depth + 1)
            case .metric: try metric(depth: depth + 1)
            case .id: hasID = try collectID(depth: depth + 1)
            case .other:
                try scanner.note(name, in: &others)
                try scanner.skip(depth: depth + 1)
            }
        }
        if given & 7 != 7 { missing(given) }
        if ids == .collected && !hasID { missingID() }
        if project >= 0 && bytes >= 0 && atMs >= 0 { rows.append(SampleBatch.Row(project: project, bytes: bytes, atMs: atMs)) }
    }

    @inline(never)
    private mutating func missing(_ given: UInt8) {
        if given & Member.project.bit == 0 { fault("project", SampleRule.name) }
        if given & Member.bytes.bit == 0 { fault("bytes", SampleRule.bytes) }
        if given & Member.at.bit == 0 { fault("at", SampleRule.at) }
    }

    /// Negative when it breaks its rule.
    private mutating func projectNumber(depth: Int) throws(SampleScanStop) -> Int32 {
        if let name = try scanner.string(depth: depth), let number = projects.number(of: name) { return number }
        fault("project", SampleRule.name)
        return -1
    }

    /// The number of a name that was read before; negative when it breaks its rule.
    mutating func projectNumber(_ name: String, field: String) -> Int32 {
        var name = name
        if let number = name.withUTF8({ projects.number(of: $0) }) { return number }
        fault(field, SampleRule.name)
        return -1
    }

    mutating func byteCount(depth: Int, field: String = "bytes") throws(SampleScanStop) -> Int64 {
        if let bytes = try scanner.integer(depth: depth), (0...SampleBatch.bytesMax).contains(bytes) { return bytes }
        fault(field, SampleRule.bytes)
        return -1
    }

    mutating func metric(depth: Int, field: String = "metric") throws(SampleScanStop) {
        if let name = try scanner.string(depth: depth), name.spells("traffic") { return }
        fault(field, SampleRule.metric)
    }

    /// Unix milliseconds, or RFC 3339.
    private mutating func moment(depth: Int) throws(SampleScanStop) -> Int64 {
        guard try scanner.peek() == UInt8(ascii: "\"") else { return checked(try scanner.integer(depth: depth), "at", SampleRule.at) }
        return try writtenMoment(depth: depth, "at", SampleRule.at)
    }

    /// RFC 3339 only.
    mutating func writtenMoment(depth: Int, _ field: String, _ rule: String) throws(SampleScanStop) -> Int64 {
        let text = try scanner.string(depth: depth)
        return checked(text.flatMap { Timestamp.parse(String(decoding: $0, as: UTF8.self)) }, field, rule)
    }

    @inline(__always)
    private mutating func checked(_ moment: Int64?, _ field: String, _ rule: String) -> Int64 {
        guard let moment, (0...SampleBatch.atMax).contains(moment) else {
            fault(field, rule)
            return -1
        }
        guard moment >= oldestMs else {
            fault(field, SampleRule.tooOld)
            return -1
        }
        guard moment <= latestMs else {
            fault(field, SampleRule.tooEarly)
            return -1
        }
        return moment
    }

    // MARK: Ids

    private mutating func collectID(depth: Int) throws(SampleScanStop) -> Bool {
        guard ids == .collected else {
            try scanner.skip(depth: depth)
            return true
        }
        guard let id = try scanner.string(depth: depth), SampleRule.isID(id, most: SampleBatch.sampleIDMax) else { return false }
        sampleIDs.append(String(decoding: id, as: UTF8.self))
        return true
    }

    private mutating func missingID() {
        if idFault == nil { idFault = SampleFault(place: place, field: "id", rule: SampleRule.sampleID) }
    }

    /// Takes a sample that was put together outside.
    mutating func append(_ row: SampleBatch.Row, id: String?) {
        rows.append(row)
        if let id { sampleIDs.append(id) }
    }

    // MARK: The end

    /// The batch, once everything is read and no rule is broken; nil otherwise, and then `faults` says why.
    mutating func batch(source: String, batch: String?) -> SampleBatch? {
        place = nil
        if seen == 0 && faults.isEmpty { fault("samples", SampleRule.samples) }
        if batch == nil, let idFault { faults.append(idFault) }
        guard faults.isEmpty else { return nil }
        return SampleBatch(source: source, batch: batch, projects: projects.names, rows: rows, ids: batch == nil ? sampleIDs : [])
    }
}
