"""Everything that can go wrong with a file: one class per failure, with its code and the way out."""

from __future__ import annotations

from agentplatform.lib.errors import AppError


class FileTooLarge(AppError):
    """The file is larger than this installation takes."""

    code = "FILE_TOO_LARGE"
    status = 413
    hint = "Send a smaller one, or in parts; the operator sets the limit with AGENTPLATFORM_MAX_FILE_BYTES."


class FileQuotaExceeded(AppError):
    """All your files together are larger, or more, than this installation keeps for one owner."""

    code = "FILE_QUOTA_EXCEEDED"
    status = 409
    hint = "Delete files that are not needed; the operator sets the limits, AGENTPLATFORM_MAX_OWNED_FILE_BYTES and …_FILES."


class FileInvalid(AppError):
    """The file can not be kept like this."""

    code = "FILE_INVALID"
    status = 400
    hint = "Correct the field it names."


class FileRangeInvalid(AppError):
    """The file has no such part."""

    code = "FILE_RANGE_INVALID"
    status = 416
    hint = "Ask for bytes that lie within its size."


class FileNotFound(AppError):
    """There is no such file of yours."""

    code = "FILE_NOT_FOUND"
    status = 404
    hint = "Name one that is yours, as GET /api/v1/files/ lists them."


class FileInUse(AppError):
    """An execution that has not ended uses the file."""

    code = "FILE_IN_USE"
    status = 409
    hint = "Wait for its end, or cancel it. With ?force=true the file is deleted all the same, and whatever needs it then fails."


class FileGone(AppError):
    """The file is not there any more: it was deleted, it has expired, or it never was its owner's."""

    code = "FILE_GONE"
    status = 410
    hint = "Upload it again and start anew with its new id; let a file expire after what needs it has ended."
