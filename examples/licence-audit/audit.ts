/**
 * What the tasks of the licence audit share: how packages are found, and how a licence is told.
 */
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** What the first task passes to the shards: the folders directly under `node_modules`, scopes resolved. */
export interface PackageList {
  readonly root: string
  readonly folders: readonly string[]
}

interface PackageSize {
  readonly name: string
  readonly version: string
  readonly bytes: number
}

/** What one shard found, and (summed) the whole report. */
export interface Findings {
  readonly packages: number
  /** Number of packages by SPDX expression. */
  readonly licences: Readonly<Record<string, number>>
  /** `name@version` of packages that state no licence and carry none that is known. */
  readonly withoutLicence: readonly string[]
  readonly largest: readonly PackageSize[]
}

/** How many of the largest packages a report names. */
export const LARGEST = 10

/** Folders of packages directly under a `node_modules` folder, relative to it, sorted. */
export async function packageFolders(root: string): Promise<string[]> {
  const folders: string[] = []
  for (const entry of await directories(root)) {
    if (entry.startsWith('.')) continue
    if (!entry.startsWith('@')) folders.push(entry)
    else for (const scoped of await directories(join(root, entry))) folders.push(`${entry}/${scoped}`)
  }
  return folders.sort()
}

/** The package in `folder` and all packages nested below it. */
export async function* packagesBelow(folder: string): AsyncGenerator<string> {
  yield folder
  const nested = join(folder, 'node_modules')
  for (const child of await packageFolders(nested)) yield* packagesBelow(join(nested, child))
}

interface Manifest {
  readonly name?: unknown
  readonly version?: unknown
  readonly license?: unknown
  readonly licenses?: unknown
}

/** The package's manifest; undefined for a folder that is no package. */
export async function readManifest(folder: string): Promise<Manifest | undefined> {
  try {
    return JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as Manifest
  } catch {
    // A folder without a readable manifest is not a package (build output, a broken link): not the audit's business.
    return undefined
  }
}

/** The SPDX expression of a package: what its manifest says, else what its licence file is recognised as. */
export async function licenceOf(folder: string, manifest: Manifest): Promise<string | undefined> {
  return fromManifest(manifest) ?? (await fromFile(folder))
}

function fromManifest({ license, licenses }: Manifest): string | undefined {
  const stated = license ?? licenses
  const list = Array.isArray(stated) ? (stated as unknown[]) : [stated]
  const names = list.flatMap((item) => {
    if (typeof item === 'string') return [item]
    const type = typeof item === 'object' && item !== null ? (item as { type?: unknown }).type : undefined
    return typeof type === 'string' ? [type] : []
  })
  const useful = names
    .map((name) => name.trim())
    .filter((name) => name !== '' && !name.startsWith('SEE LICEN'))
  if (useful.length === 0) return undefined
  return useful.length === 1 ? useful[0] : `(${useful.join(' OR ')})`
}

/** Sentences that only one licence contains, by SPDX id; the first match counts. */
const SENTENCES: readonly (readonly [string, RegExp])[] = [
  ['Apache-2.0', /Apache License,?\s+Version 2\.0/i],
  ['MPL-2.0', /Mozilla Public License,?\s+(Version|v\.?)\s*2\.0/i],
  ['GPL-3.0', /GNU GENERAL PUBLIC LICENSE\s+Version 3/i],
  ['BSD-3-Clause', /Neither the name of .+ may be used to endorse/is],
  ['BSD-2-Clause', /Redistributions in binary form must reproduce/i],
  ['ISC', /Permission to use, copy, modify, and\/or distribute this software for any/i],
  ['0BSD', /Permission to use, copy, modify, and\/or distribute/i],
  ['MIT', /Permission is hereby granted, free of charge, to any person obtaining a copy/i],
  ['Unlicense', /This is free and unencumbered software released into the public domain/i]
]

async function fromFile(folder: string): Promise<string | undefined> {
  const names = await readdir(folder)
  const file = names.find((name) => /^(licen[cs]e|copying)/i.test(name))
  if (file === undefined) return undefined
  const path = join(folder, file)
  if (!(await stat(path)).isFile()) return undefined
  const text = await readFile(path, 'utf8')
  return SENTENCES.find(([, sentence]) => sentence.test(text))?.[0]
}

/** Bytes of a package's own files, nested packages left out. */
export async function sizeOf(folder: string): Promise<number> {
  let bytes = 0
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isFile()) bytes += (await stat(path)).size
    else if (entry.isDirectory() && entry.name !== 'node_modules') bytes += await sizeOf(path)
  }
  return bytes
}

/** Adds up findings. */
export function merge(parts: readonly Findings[]): Findings {
  const licences: Record<string, number> = {}
  for (const part of parts) {
    for (const [licence, count] of Object.entries(part.licences))
      licences[licence] = (licences[licence] ?? 0) + count
  }
  const byCount = Object.entries(licences).sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
  return {
    packages: parts.reduce((sum, part) => sum + part.packages, 0),
    licences: Object.fromEntries(byCount),
    withoutLicence: parts.flatMap((part) => part.withoutLicence).sort(),
    largest: parts
      .flatMap((part) => part.largest)
      .sort((a, b) => b.bytes - a.bytes || (a.name < b.name ? -1 : 1))
      .slice(0, LARGEST)
  }
}

async function directories(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true })
    return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name)
  } catch {
    // No such folder: nothing is installed there.
    return []
  }
}
