// Two SQLite libraries in one process on one file. Locks of POSIX belong to the process, and each library knows of its own
// alone: neither waits for the other, and what one has acknowledged the other overwrites.
import { readdir, readlink, realpath } from 'node:fs/promises'

// Where Linux lists the files that this process has open. To open the database file in order to look at it would be the
// end of its locks.
const OPEN_FILES = '/proc/self/fd'
// A process with more open files than this is a busy server, whose time is not ours.
const MAX_OPEN = 4096
const noticed = new Set<string>()

/** Says once, a moment later, if another SQLite library of this process has the file open. Only Linux tells. */
export function noticeOtherLibraries(file: string): void {
  if (process.platform !== 'linux' || noticed.has(file)) return
  void countLibraries(file).then((libraries) => {
    if (libraries < 2 || noticed.has(file)) return
    noticed.add(file)
    process.emitWarning(
      'two SQLite libraries of this process have the file of the SqliteStore open, and neither sees the locks of the other: sessions will be lost and the file may be damaged. Give the store a database of the library that the app uses, or a file of its own.',
      { type: 'SessionWarning', code: 'KOA_FASTSESSION_TWO_SQLITE_LIBRARIES' },
    )
  })
}

/** A library maps the shared memory of a file once, over one descriptor for all its connections. */
async function countLibraries(file: string): Promise<number> {
  try {
    const shared = `${await realpath(file)}-shm`
    const open = await readdir(OPEN_FILES)
    if (open.length > MAX_OPEN) return 0
    const targets = await Promise.all(open.map((name) => readlink(`${OPEN_FILES}/${name}`).catch(() => '')))
    return targets.filter((target) => target === shared).length
  } catch {
    return 0 // only a help: where nothing can be seen, nothing is said
  }
}
