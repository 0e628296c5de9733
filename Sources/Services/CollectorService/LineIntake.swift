import Formats
import Settings
import UsageSamples

#if canImport(Glibc)
    import Glibc
#endif

/// Why a line is not counted.
enum LineRejection: String, CaseIterable, Sendable {
    /// It is not of the log's format.
    case unreadable
    /// It is longer than a line may be.
    case overlong
    /// The file ended before the line did, and is no longer written to.
    case unfinished
    /// Its time is further back or ahead than ingest takes.
    case moment
}

/// A line that was not counted, as it may be shown: nothing of what stands in it.
struct RejectedLine: Equatable {
    let reason: LineRejection
    /// Where the line begins in its file.
    let offset: Int64
    let length: Int
    let detail: String
    /// The line's build: letters as `a`, digits as `9`, runs of them as one.
    let shape: String
}

/// Takes lines: what they say goes into the tally, what they do not say is counted.
struct LineIntake {
    /// Bytes that a line may have.
    static let lineMax = 64 << 10
    /// Rejected lines that are kept to be shown, until they are taken.
    static let shownMax = 5
    /// A little less than ingest takes, whose clock is another.
    private static let ageMaxMs = SampleWindow.intakeAgeMaxMs - 24 * 60 * 60_000
    private static let aheadMaxMs = SampleWindow.futureMaxMs - 60_000

    var tally = TrafficTally()
    var names: NameTable
    private var oldestMs: Int64 = 0
    private var latestMs: Int64 = 0

    /// Since the counts were last taken.
    private(set) var counts = Counts()
    private var rejected: [RejectedLine] = []

    struct Counts: Equatable {
        var lines: Int64 = 0
        /// Bytes that clients were sent, of known projects.
        var traffic: Int64 = 0
        /// Lines of unknown names.
        var unknown: Int64 = 0
        var rejected: [LineRejection: Int64] = [:]
    }

    init(_ map: ProjectMap) { names = NameTable(map) }

    /// What time it is, for the moments that are taken.
    mutating func setTime(_ nowMs: Int64) {
        oldestMs = nowMs - Self.ageMaxMs
        latestMs = nowMs + Self.aheadMaxMs
    }

    mutating func takeCounts() -> Counts {
        defer { counts = Counts() }
        return counts
    }

    mutating func takeRejected() -> [RejectedLine] {
        defer { rejected = [] }
        return rejected
    }

    // MARK: Lines

    /// Takes the whole lines of a piece of a file.
    /// - Parameter offset: where the piece begins in its file.
    /// - Returns: how many bytes are done with, and whether the tally is full and the next line has to wait.
    mutating func take(_ piece: UnsafeBufferPointer<UInt8>, _ format: CollectorSettings.LogFormat, at offset: Int64) -> (done: Int, isFull: Bool) {
        guard let base = piece.baseAddress else { return (0, false) }
        var start = 0
        while start < piece.count, let found = memchr(base + start, 0x0A, piece.count - start) {
            let end = UnsafePointer(found.assumingMemoryBound(to: UInt8.self)) - base
            guard takeLine(LogLine.Text(start: base + start, count: end - start), format, at: offset + Int64(start)) else { return (start, true) }
            start = end + 1
        }
        return (start, false)
    }

    /// - Returns: false when there is no room for the line.
    @inline(__always)
    private mutating func takeLine(_ text: LogLine.Text, _ format: CollectorSettings.LogFormat, at offset: Int64) -> Bool {
        guard text.count > 0 else { return true }
        guard text.count <= Self.lineMax else {
            reject(.overlong, at: offset, length: text.count, "more than \(Self.lineMax) bytes")
            return true
        }
        do throws(LineFault) {
            let line = try format.read(text)
            guard line.atMs >= oldestMs, line.atMs <= latestMs else {
                reject(.moment, at: offset, length: text.count, line.atMs < oldestMs ? "too long ago" : "ahead of the clock")
                return true
            }
            let project = names.project(of: line)
            if project < 0 {
                counts.unknown += 1
            } else {
                guard tally.add(project: project, atMs: line.atMs, bytes: line.bytes) else { return false }
                counts.traffic += line.bytes
            }
            counts.lines += 1
        } catch {
            reject(.unreadable, at: offset, length: text.count, "expected \(error.expected) at byte \(error.place)", text)
        }
        return true
    }

    @inline(never)
    mutating func reject(_ reason: LineRejection, at offset: Int64, length: Int, _ detail: String, _ text: LogLine.Text? = nil) {
        counts.lines += 1
        counts.rejected[reason, default: 0] += 1
        guard rejected.count < Self.shownMax else { return }
        rejected.append(
            RejectedLine(reason: reason, offset: offset, length: length, detail: detail, shape: text.map { Self.shape($0) } ?? ""))
    }

    /// The first signs of a line without what they say: hosts, addresses, paths and names are somebody's.
    static func shape(_ text: LogLine.Text) -> String {
        var shape: [UInt8] = []
        for byte in text {
            var shown = byte
            switch byte {
            case 0x30...0x39: shown = UInt8(ascii: "9")
            case 0x41...0x5A, 0x61...0x7A, 0x80...: shown = UInt8(ascii: "a")
            case ..<0x20, 0x7F: shown = UInt8(ascii: "?")
            default: break
            }
            let isRun = shown == UInt8(ascii: "9") || shown == UInt8(ascii: "a")
            if isRun && shape.last == shown { continue }
            shape.append(shown)
            if shape.count == 80 { break }
        }
        return String(decoding: shape, as: UTF8.self)
    }
}
