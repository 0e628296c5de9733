import EventLoop
import Synchronization

/// Measures folder trees by walking them, on threads that may block.
///
/// A file with several names (hard links) counts once within one call, for the first of the folders that has it, whichever
/// walk is quicker. A folder of the list that lies within another one counts for itself and not for the outer one.
public struct DiskUsage: Sendable {
    public struct Options: Sendable {
        /// Folders walked at the same time; more than the pool has threads wait for one.
        public var walksMax: Int
        /// Whether a walk goes into what is mounted below a folder from another file system.
        public var crossesFileSystems: Bool
        /// Levels of one walk whose folders are held open; deeper ones are closed and opened again on the way back.
        public var openLevelsMax: Int

        public init(walksMax: Int = 4, crossesFileSystems: Bool = false, openLevelsMax: Int = 32) {
            precondition(walksMax >= 1 && openLevelsMax >= 1, "a walk holds at least its own folder open")
            self.walksMax = walksMax
            self.crossesFileSystems = crossesFileSystems
            self.openLevelsMax = openLevelsMax
        }
    }

    private let pool: BlockingPool
    private let options: Options

    public init(pool: BlockingPool, options: Options = Options()) {
        self.pool = pool
        self.options = options
    }

    /// The sizes of folders, in their order.
    ///
    /// What cannot be read in a folder is counted there; only a folder that cannot be opened at all has an error.
    /// - Throws: `CancellationError` soon after the task was cancelled.
    public func sizes(of folders: [MeasuredFolder]) async throws(CancellationError) -> [Result<FolderSize, DiskUsageError>] {
        let stop = StopFlag()
        let tallies = await withTaskCancellationHandler {
            let roots = await onPool { Self.identities(of: folders) }
            return await walk(folders, roots: roots, stop)
        } onCancel: {
            stop.set()
        }
        guard !stop.isSet else { throw CancellationError() }
        return Self.merge(tallies)
    }

    /// The size of one folder.
    public func size(of folder: MeasuredFolder) async throws -> FolderSize {
        let sizes = try await sizes(of: [folder])
        return try sizes[0].get()
    }

    /// The names of the folders in a folder, sorted; links to folders are none.
    public func subfolders(of path: String) async throws(DiskUsageError) -> [String] {
        let result = await onPool { Result { () throws(DiskUsageError) in try FolderListing.subfolders(of: path) } }
        return try result.get()
    }

    // MARK: Parts

    private func onPool<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in pool.submit { continuation.resume(returning: body()) } }
    }

    /// What each folder is by device and number; nil for one that cannot be found.
    private static func identities(of folders: [MeasuredFolder]) -> [FileIdentity?] { folders.map { FileIdentity(of: $0) } }

    private func walk(_ folders: [MeasuredFolder], roots: [FileIdentity?], _ stop: StopFlag) async -> [Result<FolderTally, DiskUsageError>] {
        var first: [FileIdentity: Int] = [:]
        for (index, root) in roots.enumerated() { if let root, first[root] == nil { first[root] = index } }
        let firstPlaces = first
        let everyRoot = Set(first.keys)
        let next = TakingTurns(count: folders.count)
        typealias Done = [(index: Int, tally: Result<FolderTally, DiskUsageError>)]
        return await withTaskGroup(of: Done.self) { group in
            for _ in 0..<min(options.walksMax, folders.count) {
                group.addTask {
                    var done: Done = []
                    while !stop.isSet, let index = next.take() {
                        let folder = folders[index]
                        if let root = roots[index], let earlier = firstPlaces[root], earlier < index {
                            done.append((index, .failure(DiskUsageError(code: .sameFolder(as: earlier), path: folder.path))))
                            continue
                        }
                        let options = options
                        let tally = await onPool {
                            Result { () throws(DiskUsageError) in
                                var walk = FolderWalk(options: options, leavingOut: everyRoot, stop: stop)
                                return try walk.run(folder)
                            }
                        }
                        done.append((index, tally))
                    }
                    return done
                }
            }
            // Those that a cancelled walk never reached are not asked for.
            var tallies = folders.map { Result<FolderTally, DiskUsageError>.failure(DiskUsageError(code: .notFound, path: $0.path)) }
            for await done in group { for (index, tally) in done { tallies[index] = tally } }
            return tallies
        }
    }

    /// Counts each file of several names for the first folder that has it.
    private static func merge(_ tallies: [Result<FolderTally, DiskUsageError>]) -> [Result<FolderSize, DiskUsageError>] {
        var claimed: Set<FileIdentity> = []
        return tallies.map { result in
            result.map { tally in
                var bytes = tally.bytes
                for (file, link) in tally.links where claimed.insert(file).inserted { bytes += link.bytes }
                return FolderSize(
                    bytes: bytes, entries: tally.entries, unreadable: tally.unreadable, otherFileSystems: tally.otherFileSystems)
            }
        }
    }
}

/// Set once, read by walks at every entry.
final class StopFlag: Sendable {
    private let flag = Atomic<Bool>(false)
    var isSet: Bool { flag.load(ordering: .relaxed) }
    func set() { flag.store(true, ordering: .relaxed) }
}

/// Hands out the numbers below `count`, each once.
private final class TakingTurns: Sendable {
    private let next = Atomic<Int>(0)
    private let count: Int
    init(count: Int) { self.count = count }

    func take() -> Int? {
        let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
        return index < count ? index : nil
    }
}
