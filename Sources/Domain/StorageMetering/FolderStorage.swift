import DiskUsage
import Usage

/// A folder that holds a project's files.
public struct StorageFolder: Sendable, Equatable {
    public let project: String
    public let path: String

    public init(project: String, path: String) {
        self.project = project
        self.path = path
    }
}

/// Measures plain folders: single ones that were named, and those in a root that are named by their project.
struct FolderStorage: Sendable {
    /// What was found.
    struct Figures: Sendable {
        var projects: [String: StorageMeasurement.Part] = [:]
        var folders = 0
        /// Entries that could not be read.
        var unreadable = 0
        /// Sentences about what was left out.
        var problems: [String] = []
    }

    /// Why nothing was measured: earlier figures are to be kept.
    struct Failure: Error, CustomStringConvertible {
        let description: String
        let isTransient: Bool
    }

    let root: String?
    let folders: [StorageFolder]
    let diskUsage: DiskUsage

    /// Folders that a file system makes for itself.
    private static let notProjects: Set<String> = ["lost+found"]

    func measure() async throws -> Figures {
        var figures = Figures()
        let listed = folders + (try await foldersOfRoot(&figures))
        // A named folder may be reached through a link; what was found in the root is a folder, and must still be one.
        let paths = listed.enumerated().map { index, folder in MeasuredFolder(folder.path, mayBeLink: index < folders.count) }
        let sizes = try await diskUsage.sizes(of: paths)
        var failures: [DiskUsageError] = []
        for (folder, size) in zip(listed, sizes) {
            switch size {
            case .success(let size):
                figures.folders += 1
                figures.unreadable += size.unreadable
                figures.projects[folder.project, default: .init(bytes: 0)].add(size)
                if size.unreadable > 0 { figures.problems.append("\(folder.path): \(size.unreadable) entries could not be read") }
            case .failure(let error):
                if case .sameFolder(let earlier) = error.code {
                    guard listed[earlier].project != folder.project else { continue }
                    figures.problems.append("\(folder.path) is measured for \(listed[earlier].project), not for \(folder.project) as well")
                    continue
                }
                // Gone since the root was read: the project has nothing there any more.
                if error.code == .notFound, !folders.contains(folder) { continue }
                failures.append(error)
                figures.problems.append(error.description)
                figures.projects[folder.project, default: .init(bytes: 0)].unknownItems += 1
            }
        }
        if let first = failures.first, figures.folders == 0 { throw Failure(description: "\(first)", isTransient: first.isTransient) }
        return figures
    }

    private func foldersOfRoot(_ figures: inout Figures) async throws -> [StorageFolder] {
        guard let root else { return [] }
        let names: [String]
        do throws(DiskUsageError) { names = try await diskUsage.subfolders(of: root) } catch {
            throw Failure(description: "\(error)", isTransient: error.isTransient)
        }
        let visible = names.filter { !$0.hasPrefix(".") && !Self.notProjects.contains($0) }
        // All figures would fall to nothing when the disk of the root is not mounted.
        guard !visible.isEmpty else { throw Failure(description: "\(root) has no folders: is its disk mounted?", isTransient: true) }
        var found: [StorageFolder] = []
        for name in visible {
            if ProjectLabel.isProject(name) {
                found.append(StorageFolder(project: name, path: "\(root)/\(name)"))
            } else {
                figures.problems.append("\(root): no project is named '\(name.prefix(40))'")
            }
        }
        return found
    }
}

extension StorageMeasurement.Part {
    /// Entries that could not be read make the figure one of unknown size.
    mutating func add(_ size: FolderSize) {
        add(size.bytes)
        unknownItems += size.unreadable
    }
}
