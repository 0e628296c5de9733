import Formats
import UsageSamples

/// What the lines of a batch come to: bytes by project and minute.
struct TrafficTally {
    struct Row: Equatable {
        let project: Int32
        /// Of unix time.
        let minute: Int64
        var bytes: Int64
    }

    private struct Cell: Hashable {
        let project: Int32
        let minute: Int64
    }

    /// Rows that a batch may have.
    let rowsMax: Int
    private(set) var rows: [Row] = []
    private var cells: [Cell: Int32] = [:]
    /// By project: the row that was added to last, which is that of the minute that passes.
    private var last: [Int32] = []

    init(rowsMax: Int = SampleBatch.samplesMax) { self.rowsMax = rowsMax }

    var isEmpty: Bool { rows.isEmpty }
    var bytes: Int64 { rows.reduce(0) { $0 + $1.bytes } }

    /// - Returns: false when the batch has no room for it: it is to be closed, and the line read again for the next one.
    @inline(__always)
    mutating func add(project: Int32, atMs: Int64, bytes: Int64) -> Bool {
        let minute = atMs / 60_000
        if Int(project) < last.count {
            let row = Int(last[Int(project)])
            if row >= 0, rows[row].minute == minute, rows[row].bytes <= SampleBatch.bytesMax - bytes {
                rows[row].bytes += bytes
                return true
            }
        }
        return addElsewhere(project, minute, bytes)
    }

    @inline(never)
    private mutating func addElsewhere(_ project: Int32, _ minute: Int64, _ bytes: Int64) -> Bool {
        while last.count <= Int(project) { last.append(-1) }
        let cell = Cell(project: project, minute: minute)
        if let row = cells[cell], rows[Int(row)].bytes <= SampleBatch.bytesMax - bytes {
            rows[Int(row)].bytes += bytes
            last[Int(project)] = row
            return true
        }
        // A sample has a largest number; what is beyond is a second row of the same minute.
        guard rows.count < rowsMax else { return false }
        let row = Int32(rows.count)
        rows.append(Row(project: project, minute: minute, bytes: bytes))
        cells[cell] = row
        last[Int(project)] = row
        return true
    }

    mutating func removeAll() {
        rows.removeAll(keepingCapacity: true)
        cells.removeAll(keepingCapacity: true)
        for project in last.indices { last[project] = -1 }
    }

    /// The body of a post to ingest: a sample a line.
    func body(projects: [String]) -> String {
        rows.map { #"{"project":"\#(projects[Int($0.project)])","bytes":\#($0.bytes),"at":\#($0.minute * 60_000)}"# + "\n" }.joined()
    }
}
