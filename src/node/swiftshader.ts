import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';

/** Where a Vulkan driver and the loader that finds it lie. */
export interface VulkanFiles {
  /** The driver's description, for VK_ICD_FILENAMES. */
  readonly icd: string;
  /** A copy of libvulkan.so.1 for systems without one. */
  readonly loader: string;
}

/** The npm package that ships SwiftShader, a Vulkan driver that runs on the CPU. */
export const SWIFTSHADER_PACKAGE = '@sparticuz/chromium';

/**
 * SwiftShader's files, unpacked from {@link SWIFTSHADER_PACKAGE} into a cache on the first call.
 *
 * @returns undefined where the package is not installed, or has nothing for this platform.
 */
export async function unpackSwiftShader(): Promise<VulkanFiles | undefined> {
  const root = packageRoot();
  const archive = root && join(root, 'bin', 'swiftshader.tar.br');
  if (!archive || !existsSync(archive) || process.platform !== 'linux' || process.arch !== 'x64') {
    return undefined;
  }
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  const name = `swiftshader-${version}`;
  for (const cache of cacheFolders()) {
    const folder = join(cache, name);
    try {
      if (!existsSync(folder)) {
        const files = untar(brotliDecompressSync(await readFile(archive)));
        mkdirSync(cache, { recursive: true });
        placeWhole(folder, files);
      }
      return { icd: join(folder, 'vk_swiftshader_icd.json'), loader: join(folder, 'libvulkan.so.1') };
    } catch (error) {
      if (!isPermission(error)) {
        throw error;
      }
    }
  }
  return undefined;
}

function packageRoot(): string | undefined {
  try {
    let folder = dirname(createRequire(import.meta.url).resolve(SWIFTSHADER_PACKAGE));
    while (!existsSync(join(folder, 'bin'))) {
      if (dirname(folder) === folder) {
        return undefined;
      }
      folder = dirname(folder);
    }
    return folder;
  } catch {
    return undefined;
  }
}

function cacheFolders(): string[] {
  const home = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  return [home, tmpdir()].map((folder) => join(folder, 'tfjs-lsh-attention'));
}

function isPermission(error: unknown): boolean {
  return ['EACCES', 'EPERM', 'EROFS', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '');
}

/** Writes a folder beside its place and moves it there, so that nobody finds it half written. */
function placeWhole(folder: string, files: ReadonlyMap<string, Buffer>): void {
  const beside = mkdtempSync(`${folder}-`);
  try {
    for (const [name, content] of files) {
      writeFileSync(join(beside, name), content, { mode: 0o755 });
    }
    renameSync(beside, folder);
  } catch (error) {
    rmSync(beside, { recursive: true, force: true });
    if (!existsSync(folder)) {
      throw error; // else another process was first
    }
  }
}

/** The plain files of a tar archive without folders: 512-byte headers, contents padded to 512. */
function untar(archive: Buffer): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  let at = 0;
  while (at + 512 <= archive.length && archive[at] !== 0) {
    const name = archive.toString('utf8', at, at + 100).replace(/\0.*$/s, '');
    const size = Number.parseInt(archive.toString('ascii', at + 124, at + 136), 8);
    files.set(name, archive.subarray(at + 512, at + 512 + size));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
}
