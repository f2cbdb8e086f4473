// Detects two SQLite libraries in one process on one file. POSIX locks belong to the process, and each library knows only its own:
// neither waits for the other, and one overwrites what the other has acknowledged.
import { readdir, readlink, realpath } from 'node:fs/promises'

// Where Linux lists the open files of this process. Opening and closing the database file itself would drop the process's locks
// on it.
const OPEN_FILES = '/proc/self/fd'
// A process with more open files than this is a busy server, for which the check would take too long.
const MAX_OPEN = 4096
const noticed = new Set<string>()

/** Warns once, a moment later, if another SQLite library of this process has the file open. Works only on Linux. */
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

/** Each library has one descriptor of the file's shared memory, for all its connections. */
async function countLibraries(file: string): Promise<number> {
  try {
    const shared = `${await realpath(file)}-shm`
    const open = await readdir(OPEN_FILES)
    if (open.length > MAX_OPEN) return 0
    const targets = await Promise.all(open.map((name) => readlink(`${OPEN_FILES}/${name}`).catch(() => '')))
    return targets.filter((target) => target === shared).length
  } catch {
    return 0 // only a help: without access there is no warning
  }
}
