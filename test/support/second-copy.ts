// A second copy of the package in this process, as from the node_modules of a dependency.
import { cpSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type * as original from '../../src/index.ts'
import { temporaryFolder } from './service.ts'

type Package = typeof original

/** Loads it from its own folder, so that each of its modules is a separate instance. */
export async function secondCopy(): Promise<Package> {
  const root = fileURLToPath(new URL('../..', import.meta.url))
  const folder = temporaryFolder()
  cpSync(join(root, 'src'), join(folder, 'src'), { recursive: true })
  cpSync(join(root, 'package.json'), join(folder, 'package.json'))
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  return (await import(pathToFileURL(join(folder, 'src/index.ts')).href)) as Package
}
