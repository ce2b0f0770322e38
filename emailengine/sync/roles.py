"""What a folder is for: its special use, from the account's own setting, the server's flag, or its name. Pure.

Roles are the attributes of RFC 6154 and `\\Inbox`. Each role has one folder at most; where several claim it, the
account's setting wins over the server's flag, that over a known name, and that over a known name with a general word.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping

from attrs import frozen

ROLES = ("\\Inbox", "\\Flagged", "\\Sent", "\\Drafts", "\\All", "\\Archive", "\\Junk", "\\Trash")

# Words that say nothing about a folder's use: "Sent Mail", "Deleted Objects"
_GENERAL = frozenset(
    ("mail", "mails", "email", "emails", "e-mail", "message", "messages", "item", "items", "object", "objects", "post")
)

# Names in many languages, lower-case, separated by commas
_NAMES = {
    "\\Sent": """
        sent, sent items, sent messages, sent mail, gesendet, gesendete, gesendete elemente, envoyés, éléments envoyés,
        messages envoyés, enviados, elementos enviados, enviadas, enviats, enviat, inviata, inviati, posta inviata,
        verzonden, verzonden berichten, ferstjoerd, skickat, sänt, sända poster, sendt, sendte, sendte beskeder, sendt
        post, lähetetyt, saadetud, saadetud kirjad, nosūtīts, nosūtītās, išsiųsti, išsiųstieji, wysłane, odeslané,
        odeslaná pošta, odoslané, odoslaná pošta, poslane, poslano, poslato, poslana pošta, elküldött, elküldöttek,
        trimise, expediate, të dërguar, gönderilmiş, gönderilmiş öğeler, göndərilənlər, terkirim, dihantar, hantar,
        napadala, thư đã gửi, đã gửi, отправленные, надіслані, адпраўлена, изпратени, испратени, послате, пратени,
        απεσταλμένα, σταλθέντα, נשלח, פריטים שנשלחו, المرسل, البريد المرسل, ارسال شده, بھیجے گئے, भेजा गया, প্রেরিত,
        ส่งแล้ว, გაგზავნილი, 已发送, 已发送邮件, 寄件備份, 送信済み, 送信済みメール, 送信済みアイテム, 보낸 편지함
    """,
    "\\Trash": """
        trash, bin, deleted, deleted items, deleted messages, papierkorb, gelöscht, gelöschte elemente, gelöschte
        objekte, corbeille, poubelle, éléments supprimés, papelera, elementos eliminados, lixeira, lixo, itens
        excluídos, itens eliminados, paperera, cestino, elementi eliminati, eliminata, prullenbak, verwijderde items,
        papperskorg, borttaget, borttagna objekt, papirkurv, slettet, slettede elementer, papirkorg, roskakori,
        poistetut, prügikast, kustutatud, papīrgrozs, atkritne, šiukšlinė, ištrinti, kosz, usunięte, koš, odstraněná
        pošta, kôš, smeti, smeće, lomtár, törölt elemek, gunoi, articole șterse, çöp kutusu, çöp, silinmiş öğeler, rusl,
        tong sampah, thùng rác, корзина, удаленные, удалённые, кошик, видалені, сметніца, кошче, изтрити, корпа, смеће,
        канта, κάδος απορριμμάτων, διαγραμμένα, אשפה, פריטים שנמחקו, المهملات, العناصر المحذوفة, زباله\u200cدان, कचरा,
        ถังขยะ, წაშლილი, 已删除邮件, 已刪除項目, 垃圾桶, 回收站, ごみ箱, ゴミ箱, 削除済みアイテム, 휴지통, 지운 편지함
    """,
    "\\Junk": """
        junk, spam, bulk mail, junk mail, junk email, junk e-mail, junk-e-mail, courrier indésirable, indésirables,
        pourriel, correo no deseado, correo basura, no deseado, lixo eletrônico, lixo eletrónico, correu brossa, posta
        indesiderata, indesiderata, ongewenst, ongewenste e-mail, skräp, skräppost, uønsket, uønsket post, søppelpost,
        roskaposti, rämpspost, mēstules, šlamštas, wiadomości-śmieci, niechciane, nevyžádaná pošta, nevyžiadaná pošta,
        neželena pošta, neželjena pošta, levélszemét, kéretlen, nesolicitate, önemsiz, gereksiz, istenmeyen, ruslpóstur,
        mel remeh, thư rác, спам, нежелательная почта, небажана пошта, нежелана поща, непожељна пошта, ανεπιθύμητα,
        ανεπιθύμητη αλληλογραφία, דואר זבל, זבל, غير المرغوب, الرسائل غير المرغوب فيها, هرزنامه, स्पैम, สแปม, อีเมลขยะ,
        სპამი, 垃圾邮件, 垃圾郵件, 垃圾信件, 迷惑メール, 스팸, 스팸 편지함, 정크 메일
    """,
    "\\Drafts": """
        draft, drafts, entwürfe, brouillons, borrador, borradores, rascunhos, esborranys, bozze, concepten, konsepten,
        utkast, kladd, kladder, luonnokset, mustandid, uzmetumi, melnraksti, juodraščiai, szkice, kopie robocze, wersje
        robocze, koncepty, rozepsané, osnutki, skice, nacrti, vázlatok, ciorne, taslak, taslaklar, qaralamalar, drög,
        draf, konsep, thư nháp, bản thảo, черновики, чернетки, чарнавікі, чернови, нацрти, πρόχειρα, προσχέδια, טיוטות,
        المسودات, مسودات, پیش\u200cنویس\u200cها, ड्राफ़्ट, খসড়া, ฉบับร่าง, ร่าง, მონახაზები, 草稿, 草稿箱, 草稿匣, 下書き,
        임시 보관함, 초안
    """,
    "\\Archive": """
        archive, archives, archiv, archief, archivo, archivos, archivio, arquivo, arquivos, arxiu, arkiv, arkiver,
        arkisto, arhiiv, arhīvs, archyvas, archiwum, archív, arhiv, arhiva, archívum, arhivă, arşiv, arxiv, arsip,
        arkib, lưu trữ, архив, архів, архіў, архива, архиви, αρχειοθήκη, ארכיון, أرشيف, الأرشيف, بایگانی, संग्रह,
        ที่เก็บถาวร, არქივი, 归档, 存档, 封存, アーカイブ, 보관함
    """,
}
_BY_NAME = {
    unicodedata.normalize("NFKC", " ".join(name.split())): role
    for role, names in _NAMES.items()
    for name in names.split(",")
}


@frozen
class Candidate:
    """A folder as LIST shows it: its path, delimiter and attributes."""

    path: str
    delimiter: str | None
    flags: frozenset[str]


@frozen
class Role:
    """A folder's special use, and what it was told by: `user`, `extension` or `name`."""

    use: str
    source: str


def assign(folders: Iterable[Candidate], chosen: Mapping[str, str]) -> dict[str, Role]:
    """
    The role of each folder that has one, by path.

    `chosen` maps roles to paths that the account's settings name (`sentMailPath` and its like).
    """
    claims: dict[str, tuple[int, str, str]] = {}  # role -> (rank, path, source); a lower rank wins, then list order
    wanted = {path: use for use, path in chosen.items()}
    for folder in folders:
        for rank, use, source in _claims(folder, wanted):
            known = claims.get(use)
            if known is None or rank < known[0]:
                claims[use] = (rank, folder.path, source)
    best: dict[str, tuple[int, Role]] = {}
    for use, (rank, path, source) in claims.items():
        if path not in best or rank < best[path][0]:
            best[path] = (rank, Role(use, source))
    return {path: role for path, (_, role) in best.items()}


def _claims(folder: Candidate, wanted: Mapping[str, str]) -> Iterable[tuple[int, str, str]]:
    if folder.path.upper() == "INBOX":
        yield 0, "\\Inbox", "name"
        return
    if folder.path in wanted:
        yield 1, wanted[folder.path], "user"
    flags = {flag.lower() for flag in folder.flags}
    for use in ROLES:
        if use.lower() in flags:
            yield 2, use, "extension"
    if "\\allmail" in flags:
        yield 2, "\\All", "extension"
    if "\\spam" in flags:
        yield 2, "\\Junk", "extension"
    if "\\nonexistent" in flags:
        return  # RFC 5258: such a name is no folder, so it tells nothing
    name = folder.path.rsplit(folder.delimiter, 1)[-1] if folder.delimiter else folder.path
    name = unicodedata.normalize("NFKC", name.replace("\u200e", "").strip().lower())
    if name in _BY_NAME:
        yield 3, _BY_NAME[name], "name"
        return
    rest = [word for word in name.split() if word not in _GENERAL]
    if len(rest) == 1 and rest[0] in _BY_NAME:
        yield 4, _BY_NAME[rest[0]], "name"
