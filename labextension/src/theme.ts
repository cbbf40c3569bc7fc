/** Which theme JupyterLab has; pages in frames do not inherit it. */
import { IThemeManager } from '@jupyterlab/apputils';

export function isDark(themes: IThemeManager | null): boolean {
  return !!themes?.theme && !themes.isLight(themes.theme);
}
