import Formats

/// Why a body on the list is no batch of samples. A retry never helps: its producer must change it.
public struct SampleFormatError: Error, Equatable, CustomStringConvertible {
    /// The place in `samples`, from 0; nil when the fault is not a sample's.
    public let sample: Int?
    /// The member that breaks the rule; empty for the body as a whole.
    public let field: String
    public let rule: String

    init(sample: Int?, field: String, rule: String) {
        self.sample = sample
        self.field = field
        self.rule = rule
    }

    init(_ fault: SampleFault) {
        if case .index(let index) = fault.place { sample = index } else { sample = nil }
        field = fault.field
        rule = fault.rule
    }

    public var description: String {
        let place = sample.map { "sample \($0): " } ?? ""
        return place + (field.isEmpty ? rule : "\(field) \(rule)")
    }
}

/// One rule that posted samples break.
public struct SampleFault: Sendable, Equatable, CustomStringConvertible {
    /// Where in the body.
    public enum Place: Sendable, Equatable {
        /// Of NDJSON, from 1.
        case line(Int)
        /// In `samples` or among the events, from 0.
        case index(Int)
    }
    /// Nil for the batch as a whole.
    public let place: Place?
    public let field: String
    public let rule: String

    public init(place: Place?, field: String, rule: String) {
        self.place = place
        self.field = field
        self.rule = rule
    }

    public var description: String {
        switch place {
        case .line(let line): "line \(line): \(field) \(rule)"
        case .index(let index): "sample \(index): \(field) \(rule)"
        case nil: "\(field) \(rule)"
        }
    }
}

/// Why posted samples are not taken; then none of them is. A retry never helps: the poster must change what it sends.
public enum SampleIntakeError: Error, Equatable, CustomStringConvertible {
    /// No content type that we read.
    case mediaType
    /// No JSON, so that nothing can be said of its samples.
    case unreadable(String)
    /// The first rules that are broken, at most ``SampleIntake/faultsMax``.
    case invalid([SampleFault])

    public var description: String {
        switch self {
        case .mediaType: "the content type is none of \(SampleIntake.mediaTypes.joined(separator: ", "))"
        case .unreadable(let why): why
        case .invalid(let faults): faults.map(\.description).joined(separator: "; ")
        }
    }
}

/// The rules, as they are told.
enum SampleRule {
    static let name = Slug.rule(most: SampleBatch.nameMax)
    static let bytes = "must be a whole number from 0 to \(SampleBatch.bytesMax)"
    static let at = "must be unix milliseconds or an RFC 3339 text, from 1970 to 9999"
    static let metric = "must be \"traffic\" where it is given"
    static let sampleID = "must have 1 to \(SampleBatch.sampleIDMax) visible ASCII characters, as no batch is named"
    static let batchID = "must have 1 to \(SampleBatch.batchIDMax) visible ASCII characters"
    static let version = "must be 1"
    static let samples = "must be an array of 1 to \(SampleBatch.samplesMax) samples"
    static let count = "must be 1 to \(SampleBatch.samplesMax)"
    static let object = "must be an object"
    static let tooOld = "is more than \(SampleWindow.intakeAgeMaxMs / 86_400_000) days ago"
    static let tooEarly = "is more than \(SampleWindow.futureMaxMs / 60_000) minutes ahead"

    static func isName(_ text: SampleScanner.Text) -> Bool { (1...SampleBatch.nameMax).contains(text.count) && text.allSatisfy(Slug.isByte) }

    /// Visible ASCII without blanks.
    static func isID(_ text: SampleScanner.Text, most: Int) -> Bool {
        (1...most).contains(text.count) && text.allSatisfy { (0x21...0x7E).contains($0) }
    }

    static func isID(_ text: String, most: Int) -> Bool {
        (1...most).contains(text.utf8.count) && text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }
}
