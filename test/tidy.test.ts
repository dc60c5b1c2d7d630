/**
 * Style and honesty as tests: what no compiler or linter checks. Each says what is wrong and where.
 *
 * Bounds that are not met yet everywhere are ratchets: what exceeds them is listed, with what it may have at most; the list may
 * only shrink, and has to when something on it is within the bound.
 */
import { execFileSync } from 'node:child_process'
import { basename, dirname, join, normalize } from 'node:path'
import { expect, test } from 'vitest'
import { at, DOCUMENTS, exists, FILES, findAll, readJson, readText, SOURCES } from './helpers/repo.ts'

interface Manifest {
  readonly license: string
  readonly files: readonly string[]
  readonly bin: Readonly<Record<string, string>>
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>
  readonly scripts: Readonly<Record<string, string>>
}

const MANIFEST = readJson('package.json') as Manifest
const SELF = 'test/tidy.test.ts'
const OTHERS = SOURCES.filter((path) => path !== SELF)
const TESTS = FILES.filter((path) => path.startsWith('test/') && path.endsWith('.test.ts'))
/** What speaks of the repository to people. */
const GUIDES = DOCUMENTS.filter((path) => path !== 'CHANGELOG.md')

/** Lines of a source file, comments and all. ESLint bounds code lines. */
const MAX_LINES = 400
const LONG_FILES: Readonly<Record<string, number>> = {
  'runtime/node-core.ts': 470,
  'test/contract/transport.test.ts': 420
}
/** Files of more than sixty lines without a header, which says what a file owns. */
const NO_HEADER: readonly string[] = ['base/limits.ts', 'node/supervisor/discovery.ts', 'runtime/wal/wal.ts']
const MAX_COLUMNS_OF_PROSE = 140
const WIDE_DOCUMENTS: readonly string[] = ['docs/SCHEDULING.md']
const CRUISER = 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs'

test('no import crosses a layer, and the check sees every source folder', () => {
  const checked = (MANIFEST.scripts['check:layers'] ?? '').split(' err ')[1]?.split(' ') ?? []
  const output = execFileSync(
    process.execPath,
    [CRUISER, '--config', '.dependency-cruiser.cjs', '--output-type', 'json', ...checked],
    { cwd: join(import.meta.dirname, '..'), encoding: 'utf8', maxBuffer: 1 << 28 }
  )
  const { modules, summary } = JSON.parse(output) as {
    modules: { source: string }[]
    summary: { violations: unknown[]; totalCruised: number }
  }
  expect(summary.violations).toEqual([])
  const seen = new Set(modules.map(({ source }) => source))
  expect(SOURCES.filter((path) => checked.includes(path.split('/')[0] ?? '') && !seen.has(path))).toEqual([])
  expect(summary.totalCruised).toBeGreaterThan(checked.length)
  const sourceFolders = new Set(
    SOURCES.filter((path) => path.includes('/')).map((path) => path.split('/')[0])
  )
  expect([...sourceFolders].sort()).toEqual([...checked].sort())
})

test.each([
  ['unfinished work', /\b(FIXME|XXX|HACK|WIP|TBD)\b|\bTODO\b(?!\(#\d+\))|not implemented/],
  ['a silenced check', /eslint-disable|@ts-(ignore|nocheck|expect-error)|prettier-ignore|[cv]8 ignore/],
  ['a test that is left out', /\b(test|it|describe)(\.\w+)*\.(only|skip|todo)\b(?!If)/],
  ['a document that is not here', /\bDESIGN\b/],
  ['a left-over of debugging', /^\s*debugger\b|console\.(debug|trace)/]
])('no source holds %s', (_, pattern) => {
  expect(findAll(OTHERS, pattern)).toEqual([])
})

test('nothing names a machine, a home folder or a package registry', () => {
  const texts = FILES.filter((path) => !/\.(png|svg|wasm)$/.test(path) && path !== SELF)
  expect(
    findAll(
      texts,
      /(?<![\w.])\/(?:work|home|root|Users)\/(?!somebody)\w+|\bregistry\.[a-z]+\.[a-z]+|"resolved":/
    )
  ).toEqual([])
})

test('sources are in kebab-case, and none is long', () => {
  expect(
    SOURCES.filter((path) => !/^[a-z0-9]+(-[a-z0-9]+)*(\.(test|d|config))?\.ts$/.test(basename(path)))
  ).toEqual([])
  const long = new Map(
    SOURCES.map((path) => [path, readText(path).split('\n').length - 1] as const).filter(
      ([, lines]) => lines > MAX_LINES
    )
  )
  const grown = [...long].filter(([path, lines]) => lines > (LONG_FILES[path] ?? 0))
  expect(grown, 'longer than allowed').toEqual([])
  expect(
    Object.keys(LONG_FILES).filter((path) => !long.has(path)),
    'within the bound: take it off the list'
  ).toEqual([])
})

test('a source file of more than sixty lines begins with what it owns', () => {
  const without = SOURCES.filter((path) => {
    const text = readText(path)
    return !path.startsWith('test/') && text.split('\n').length > 60 && !/^(#!.*\n)?\/\*\*/.test(text)
  })
  expect(without).toEqual(NO_HEADER)
})

test('a file that a comment names is there', () => {
  const names = new Set(FILES.map((path) => basename(path)))
  const missing = findAll(OTHERS, /^\s*(?:\*|\/\/).*/).flatMap((line) =>
    [...line.replace(/^[^:]*:/, '').matchAll(/(?<![\w*/])[a-z][\w-]*(?:\/[\w.-]+)*\.(?:ts|md|cjs)\b/g)]
      .filter(([name]) => !names.has(basename(name)))
      .map(([name]) => `${line.split(': ', 1)[0] ?? ''}: ${name}`)
  )
  expect(missing).toEqual([])
})

test('production code has no stand-ins', () => {
  const production = OTHERS.filter((path) => !/^(test|sim)\//.test(path))
  expect(findAll(production, /\b(stub|mock|dummy|placeholder)\w*/i)).toEqual([])
})

test('every test file has a test', () => {
  expect(TESTS.length).toBeGreaterThan(50)
  expect(TESTS.filter((path) => !hasTest(path) && !imported(path).some(hasTest))).toEqual([])
})

test('every path that a document names is there', () => {
  const top = new Set(FILES.map((path) => path.split('/')[0]))
  const missing = GUIDES.flatMap((path) =>
    lines(path).flatMap(({ text, line }) =>
      [...namedPaths(text, path, top)]
        .filter((name) => !exists(name))
        .map((name) => at({ path, line, text: name }))
    )
  )
  expect(missing).toEqual([])
})

test('every script that a document names exists, and every script is documented', () => {
  const named = GUIDES.flatMap((path) =>
    lines(path).flatMap(({ text, line }) =>
      [...text.matchAll(/\bnpm (?:run (?:-s )?([\w:-]+)|(test|start)\b)/g)].map((match) => ({
        path,
        line,
        text: match[1] ?? match[2] ?? ''
      }))
    )
  )
  expect(named.filter(({ text }) => !(text in MANIFEST.scripts)).map(at)).toEqual([])
  const documented = new Set(named.map(({ text }) => text))
  expect(Object.keys(MANIFEST.scripts).filter((script) => !documented.has(script))).toEqual([])
})

test('every command of the command line is in the documents, and no other', () => {
  const commands = FILES.filter((path) => path.startsWith('node/cli/commands/')).map((path) =>
    basename(path, '.ts')
  )
  const named = new Set(
    GUIDES.flatMap((path) =>
      [...readText(path).matchAll(/(?:^\$ |`)dtss ([a-z]+)/gm)].map((match) => match[1] ?? '')
    )
  )
  expect([...named].sort()).toEqual([...commands].sort())
})

test('documents are narrow enough to read as text', () => {
  const wide = DOCUMENTS.flatMap((path) => {
    let fenced = false
    return lines(path).filter(({ text }) => {
      if (text.startsWith('```')) fenced = !fenced
      // Rows of tables and output that is quoted as it was cannot be broken.
      return text.length > MAX_COLUMNS_OF_PROSE && !fenced && !text.startsWith('|')
    })
  })
  expect(wide.filter(({ path }) => !WIDE_DOCUMENTS.includes(path)).map(at)).toEqual([])
  expect(WIDE_DOCUMENTS.filter((path) => !wide.some((line) => line.path === path))).toEqual([])
})

test('what the package points to is what the build makes', () => {
  const { include } = readJson('tsconfig.build.json') as { include: string[] }
  const exported = Object.values(MANIFEST.exports).flatMap((target) =>
    typeof target === 'string' ? [target] : Object.values(target)
  )
  const run = Object.values(MANIFEST.scripts).flatMap((script) =>
    [...script.matchAll(/\bdist\/\S+/g)].map(String)
  )
  const built = [...Object.values(MANIFEST.bin), ...exported, ...run]
    .map((path) => normalize(path))
    .filter((path) => path.startsWith('dist/'))
  expect(built.length).toBeGreaterThan(4)
  const unmade = built.filter((path) => {
    const source = path.replace(/^dist\//, '').replace(/(\.d\.ts|\.js)$/, '.ts')
    return !exists(source) || !include.includes(source.split('/')[0] ?? '')
  })
  expect(unmade).toEqual([])
  expect(MANIFEST.files.filter((path) => path !== 'dist' && !exists(path))).toEqual([])
})

test('the licence is Apache-2.0, whole and unchanged', () => {
  const licence = readText('LICENSE')
  expect(MANIFEST.license).toBe('Apache-2.0')
  expect(licence).toMatch(/^\s*Apache License\n\s*Version 2\.0, January 2004\n/)
  expect(licence).toContain('END OF TERMS AND CONDITIONS')
  for (let section = 1; section <= 9; section++)
    expect(licence).toMatch(new RegExp(`^ +${section}\\. [A-Z]`, 'm'))
})

function hasTest(path: string): boolean {
  return /\b(test|it)(\.\w+)*(\([^)]*\))?\(/.test(readText(path))
}

/** What a file imports from its own folder: suites that several files run share theirs so. */
function imported(path: string): string[] {
  return [...readText(path).matchAll(/from '(\.\/[^']+)'/g)].map(([, target = '']) =>
    join(dirname(path), target)
  )
}

function lines(path: string): { path: string; line: number; text: string }[] {
  return readText(path)
    .split('\n')
    .map((text, index) => ({ path, line: index + 1, text }))
}

/** Paths of the repository in a line of a document: targets of links, and code that begins with a top-level name. */
function* namedPaths(
  text: string,
  document: string,
  top: ReadonlySet<string | undefined>
): Generator<string> {
  for (const [, target = ''] of text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)|(?:src|srcset)="[^"]*"/g)) {
    if (target !== '' && !/^[a-z]+:/.test(target)) yield normalize(join(dirname(document), target))
  }
  for (const [, code = ''] of text.matchAll(/`([^`\s*<>{}…]+)`/g)) {
    const path = code.replace(/\/$/, '')
    const [first] = path.split('/')
    if (top.has(first) && (code.includes('/') || FILES.includes(path))) yield path
  }
}
